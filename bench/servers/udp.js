// udp.js: each datagram goes back.
// Leaves out the address that was asked, guards against loops, and a way to stop.
// Run as: node udp.js PORT
"use strict";

const socket = require("dgram").createSocket({ type: "udp4", recvBufferSize: 4 << 20 });

socket.on("message", (bytes, client) => socket.send(bytes, client.port, client.address));
socket.bind(Number(process.argv[2]), "127.0.0.1");
