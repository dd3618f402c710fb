export const slug = (text) => {
  return text
}
