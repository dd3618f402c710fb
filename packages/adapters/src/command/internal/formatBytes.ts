const units = ["KiB", "MiB", "GiB"]

/** A size for a person: `512 bytes`, `10 MiB`, `1.5 GiB`. */
export const formatBytes = (bytes: number): string => {
  if (bytes < 1024) return `${bytes} bytes`
  const exponent = Math.min(units.length, Math.floor(Math.log2(bytes) / 10))
  return `${Math.round((bytes / 1024 ** exponent) * 10) / 10} ${units[exponent - 1]}`
}
