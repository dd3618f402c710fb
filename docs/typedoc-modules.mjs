/**
 * A plugin of typedoc. Each file here is a module with a name to import it by, and begins with a comment that says what it
 * is; typedoc would call modules by their paths, and wants a tag in such comments that nobody else needs.
 */
import { Comment, Converter, ReflectionKind } from "typedoc"

/** `core/src/Task` is imported as `@baton/core/Task`; what is below a folder of the adapters is exported by the folder. */
const importedAs = (name) =>
  name === "cli/src/settings/defineConfig"
    ? "@baton/cli/config"
    : name.replace(/^core\/src\/testing\/.*/, "@baton/core/testing").replace(/^(\w+)\/src\/(.*)$/, "@baton/$1/$2")

export const load = (app) => {
  app.converter.on(Converter.EVENT_CREATE_DECLARATION, (context, reflection) => {
    if (!reflection.kindOf(ReflectionKind.Module)) return
    const text = context.getSymbolFromReflection(reflection)?.declarations?.[0]?.getSourceFile().text ?? ""
    const [, header = ""] = /^\/\*\*([\s\S]*?)\*\/\s*\nimport/.exec(text) ?? []
    const said = header
      .split("\n")
      .map((line) => line.replace(/^\s*\* ?/, ""))
      .filter((line) => !line.startsWith("@"))
      .join("\n")
    const folder = /^adapters\/src\/([^/]+)\//.exec(reflection.name)?.[1]
    const place = folder === undefined ? "" : `\n\nExported by \`@baton/adapters/${folder}\`.`
    reflection.comment = new Comment([{ kind: "text", text: said.trim() + place }])
    reflection.name = importedAs(reflection.name)
  })
}
