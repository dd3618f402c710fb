/**
 * A typedoc plugin. Names each module after its import path, and takes its description from the first comment of the file.
 * Without the plugin, typedoc names modules after their file paths and requires a `@module` tag in that comment.
 */
import { Comment, Converter, ReflectionKind } from "typedoc"

/** `core/src/Task` is imported as `@baton/core/Task`. The folder of an adapter exports the modules below it. */
const importedAs = (name) =>
  name === "cli/src/settings/defineConfig"
    ? "@baton/cli/config"
    : name.replace(/^core\/src\/testing\/.*/, "@baton/core/testing").replace(/^(\w+)\/src\/(.*)$/, "@baton/$1/$2")

export const load = (app) => {
  app.converter.on(Converter.EVENT_CREATE_DECLARATION, (context, reflection) => {
    if (!reflection.kindOf(ReflectionKind.Module)) return
    const text = context.getSymbolFromReflection(reflection)?.declarations?.[0]?.getSourceFile().text ?? ""
    const [, header = ""] = /^\/\*\*([\s\S]*?)\*\/\s*\nimport/.exec(text) ?? []
    const description = header
      .split("\n")
      .map((line) => line.replace(/^\s*\* ?/, ""))
      .filter((line) => !line.startsWith("@"))
      .join("\n")
    const folder = /^adapters\/src\/([^/]+)\//.exec(reflection.name)?.[1]
    const place = folder === undefined ? "" : `\n\nExported by \`@baton/adapters/${folder}\`.`
    reflection.comment = new Comment([{ kind: "text", text: description.trim() + place }])
    reflection.name = importedAs(reflection.name)
  })
}
