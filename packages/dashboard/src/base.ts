/**
 * Where the page is mounted, such as `/` or `/baton/`. The server chooses it, so it follows from the address of this script,
 * which is in the folder `assets`.
 */
export const base = new URL(/* @vite-ignore */ "../", import.meta.url).pathname
