// Socket.IO as a user would run it: a room per user, messages pushed by POST /publish [{user, body}], 0 = everyone.
// Usage: node socketio.cjs PORT (with NODE_PATH naming the folder that holds socket.io)
const http = require("node:http");
const { Server } = require("socket.io");

const server = http.createServer((request, response) => {
  let text = "";
  request.on("data", (part) => (text += part));
  request.on("end", () => {
    for (const { user, body } of JSON.parse(text)) {
      if (user === 0) io.emit("m", body);
      else io.to(`u${user}`).emit("m", body);
    }
    response.writeHead(202, { "Content-Length": 0 }).end();
  });
});
const io = new Server(server, { transports: ["websocket"], pingInterval: 25_000 });
io.on("connection", (socket) => socket.join(`u${socket.handshake.query.user}`));
server.listen({ port: Number(process.argv[2]), host: "127.0.0.1", backlog: 8192 });
