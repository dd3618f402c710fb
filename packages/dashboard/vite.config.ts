import { defineConfig } from "vite"

// The server forbids inline scripts and styles, so nothing is inlined into the page: no data URLs, no preload script.
export default defineConfig({
  // Relative, because the server can be mounted anywhere.
  base: "./",
  build: { assetsInlineLimit: 0, modulePreload: false, target: "es2022", reportCompressedSize: false },
  // `vite dev` shows the page of the sources with the data of a server: `baton serve`.
  server: { proxy: { "/api": "http://127.0.0.1:7777" } }
})
