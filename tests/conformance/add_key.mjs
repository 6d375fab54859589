// Forwards requests to a hub and adds a key, for a test suite that can send none: add_key.mjs HUB_URL KEY.
// Prints its own address when it listens, and ends with stdin. The port in `Host` and `Origin` becomes that of the hub; the
// names in them stay, because the suite tests how the hub checks them.
import http from "node:http";

const [hub, key] = process.argv.slice(2);
const { hostname, port } = new URL(hub);

const server = http.createServer((request, response) => {
  const ownPort = `:${server.address().port}`;
  const headers = { ...request.headers, authorization: `Bearer ${key}` };
  for (const name of ["host", "origin"]) {
    if (headers[name]?.endsWith(ownPort)) headers[name] = headers[name].slice(0, -ownPort.length) + `:${port}`;
  }
  const options = { hostname, port, path: request.url, method: request.method, headers };
  const forwarded = http.request(options, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  });
  forwarded.on("error", () => response.destroy());
  response.on("close", () => forwarded.destroy());
  request.pipe(forwarded);
});
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
process.stdin.resume().on("end", () => process.exit(0));
