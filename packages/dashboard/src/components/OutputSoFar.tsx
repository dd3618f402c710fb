/** The end of the output that an attempt under way has reported. */
import { Block } from "./Plain.tsx"

export const OutputSoFar = ({ output }: { readonly output: string | null }) =>
  output === null ? (
    <p className="note">The output appears here when the attempt ends.</p>
  ) : (
    <>
      <Block text={{ text: output, length: output.length, cut: false }} label="Output so far" />
      <p className="more muted">The end of the output so far. The whole output appears here when the attempt ends.</p>
    </>
  )
