import { defineConfig } from "vite";

// The tests of what is pure, made readable for Node, which runs them: see package.json.
export default defineConfig({
  build: {
    ssr: true,
    outDir: ".tested",
    rolldownOptions: { input: ["tests/graph.test.ts", "tests/messages.test.ts", "tests/scaling.test.ts"] },
  },
  logLevel: "warn",
});
