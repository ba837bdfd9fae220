// The types say which document they were made from; `--check` fails when that is no longer the one that guv has.

import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";

const at = (path) => new URL(path, import.meta.url);
const hash = createHash("sha256").update(readFileSync(at("guv.json"))).digest("hex");
const line = `// Made from openapi/guv.json, ${hash}, by \`npm run types\`.\n`;
const types = readFileSync(at("../src/api/guv.ts"), "utf8");
if (process.argv.includes("--check")) {
  if (!types.startsWith(line)) {
    console.error("src/api/guv.ts is stale: npm run types");
    process.exit(1);
  }
} else if (!types.startsWith(line)) {
  writeFileSync(at("../src/api/guv.ts"), line + types);
}
