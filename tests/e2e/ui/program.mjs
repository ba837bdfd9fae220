// A program of ours, while a test runs.

import { spawn, execFileSync } from "node:child_process";
import { createInterface } from "node:readline";

/** Starts a program, and waits until it has said what matches. It is ended by `stop()`, or with us. */
export async function start(program, args, said, options = {}) {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
  process.on("exit", () => child.kill());
  const ended = new Promise((done) => child.on("exit", (code) => done(code)));
  let log = "";
  const found = new Promise((resolve, reject) => {
    // A line may come in pieces: only whole ones count.
    const hear = (stream) =>
      createInterface({ input: stream }).on("line", (line) => {
        log += `${line}\n`;
        const match = said.exec(log);
        if (match) resolve(match[1]);
      });
    hear(child.stdout);
    hear(child.stderr);
    void ended.then((code) => reject(new Error(`${program} ended (${code}) without ${said}:\n${log}`)));
  });
  return {
    found: await found,
    log: () => log,
    stop: () => {
      child.kill();
      return ended;
    },
  };
}

/** Runs a program to its end; what it wrote. */
export function run(program, args, options = {}) {
  return execFileSync(program, args, { encoding: "utf8", ...options });
}
