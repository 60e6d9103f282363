// echo.js: a stream piped into itself.
// Leaves out limits, time-outs and a way to stop.
// Run as: node echo.js PORT
"use strict";

const net = require("net");

net.createServer({ noDelay: true }, (client) => {
    client.on("error", () => client.destroy());
    client.pipe(client);
}).listen({ host: "127.0.0.1", port: Number(process.argv[2]), backlog: 4096 });
