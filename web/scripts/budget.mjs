// What a first visit loads, gzipped: the entry, what it imports at once, and the view that opens first. The limit is a
// promise of the project; the editor is loaded when somebody opens it, and does not count.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const LIMIT = 250 * 1024;
const dist = join(import.meta.dirname, "../dist");
const manifest = JSON.parse(readFileSync(join(dist, ".vite/manifest.json"), "utf8"));

const files = new Set(["index.html"]);
const seen = new Set();
function load(key) {
  const chunk = manifest[key];
  if (chunk === undefined) throw new Error(`the build has no ${key}: name its new file here`);
  if (seen.has(key)) return;
  seen.add(key);
  files.add(chunk.file);
  for (const css of chunk.css ?? []) files.add(css);
  for (const next of chunk.imports ?? []) load(next);
}
load("index.html");
load("src/network/NetworkView.tsx");

let total = 0;
for (const file of [...files].sort()) {
  const size = gzipSync(readFileSync(join(dist, file)), { level: 9 }).length;
  total += size;
  console.log(`${(size / 1024).toFixed(1).padStart(8)} kB  ${file}`);
}
console.log(`${(total / 1024).toFixed(1).padStart(8)} kB  first load with the network, gzip (limit ${LIMIT / 1024} kB)`);
if (total > LIMIT) {
  console.error("The first load is over its limit: load what is not needed at once with import().");
  process.exit(1);
}
