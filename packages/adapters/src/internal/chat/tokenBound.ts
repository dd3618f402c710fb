/**
 * An upper bound of the tokens of a text that is lower than its bytes.
 *
 * Claude's tokenizer is not public. The bound rests on two properties of tokenizers by byte pair encoding, which hold for the
 * three public ones of this kind that were checked (`o200k_base`, `cl100k_base`, and that of earlier Claude models):
 *
 * - A frequent English word with the space before it is one token.
 * - Two neighbours of ` abcdefghilmnoprstu` are a token. So no two single characters of such a run stay separate, and a run of
 *   n characters has at most (2n + 1) / 3 tokens.
 *
 * Everything else counts one token per byte. Callers compare the bound with what replies report, because a tokenizer without
 * these properties has more tokens.
 */
export const tokenBound = (text: string): number => {
  const bytes = Buffer.byteLength(text)
  // Normalization makes a few characters longer: a single ligature can become three words.
  const most = bytes === text.length ? bytes : Math.max(bytes, Buffer.byteLength(text.normalize("NFKC")))
  let saved = 0
  for (const [word] of text.matchAll(words)) saved += frequent.has(word) ? word.length - 1 : savedInRuns(word)
  return most - saved
}

/** Lower-case words with the space before them, unless they are a part of a longer one. */
const words = /(?: |(?<![\p{L}\p{M}]))[a-z]+(?![\p{L}\p{M}])/gu

const runs = /[ abcdefghilmnoprstu]{2,}/g

const savedInRuns = (word: string): number => {
  let saved = 0
  for (const [{ length }] of word.matchAll(runs)) saved += length - Math.floor((2 * length + 1) / 3)
  return saved
}

const frequentWords =
  "about above across after again against all almost along already also although always among an and another " +
  "answer any are area around as at available away back based be because been before begin behind below best " +
  "better between both business but by can case cases change changes chapter child children city close code come " +
  "common company cost could country current customer customers data day describe did different do does during " +
  "each early email end english even every example examples explain fact family father few figure file files " +
  "first following for form forms friend from full further game general get give given go good government great " +
  "group groups had hand has have head her here high him his home hour house how however if important in include " +
  "includes including information into is issue it its job just kind know language large last late least left " +
  "less level life like line lines list long look low made main make man many market may me men message messages " +
  "might model models money month more most mother much must my name names near need needs never new next no not " +
  "now number numbers of often old on once one only open or order other our out over own page pages part parts " +
  "party people per place please point points possible power price private problem problems process product " +
  "products program programs provide public question questions read real report reports research result results " +
  "return review right room said same say school section sections see sentence service set sets she short should " +
  "side since small so some specific start state states still story student students such summary support system " +
  "table take term terms test tests text than that the their them then there these they think this those though " +
  "through time to total two type types under until up upon us use used user users uses using value values very " +
  "via want was water way we week well were what when where whether which while who why will with within without " +
  "woman women word words work world would write year you young your"

const frequent: ReadonlySet<string> = new Set(frequentWords.split(" ").map((word) => ` ${word}`))
