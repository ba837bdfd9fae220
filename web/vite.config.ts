import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// The server that `npm run dev` asks: MSGFLO_URL, or the address where `msgflo run` listens by default.
const server = process.env["MSGFLO_URL"] ?? "http://127.0.0.1:3569";

export default defineConfig({
  plugins: [react()],
  // The page may be served below a path, behind a proxy.
  base: "./",
  build: {
    target: "es2022",
    manifest: true,
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    // The editor is large, and loaded when somebody opens it; scripts/budget.mjs watches the rest.
    chunkSizeWarningLimit: 800,
  },
  server: {
    proxy: Object.fromEntries(
      ["/api", "/v1", "/config", "/metrics", "/openapi.json"].map((path) => [path, { target: server }]),
    ),
  },
});
