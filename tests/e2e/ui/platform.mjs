// A platform that runs workers, as far as guv asks it: the documented contract of Heroku's formation.

import { createServer } from "node:http";

/** Starts it with these workers. They may be changed at any time; `token` is the last that somebody came with. */
export async function platform(workers) {
  const state = { workers, token: undefined };
  const server = createServer((request, response) => {
    const answer = (status, value) => {
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify(value));
    };
    let body = "";
    request.on("data", (part) => (body += part));
    request.on("end", () => {
      if (!/^\/apps\/[^/]+\/formation$/.test(request.url)) return answer(404, { id: "not_found" });
      state.token = request.headers.authorization;
      if (request.method === "PATCH") {
        for (const { type, quantity } of JSON.parse(body).updates) state.workers[type] = quantity;
      }
      const formation = Object.entries(state.workers).map(([type, quantity]) => ({ type, quantity, size: "standard-1X" }));
      return answer(200, formation);
    });
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  state.url = `http://127.0.0.1:${server.address().port}`;
  state.stop = () => {
    server.closeAllConnections();
    server.close();
  };
  return state;
}
