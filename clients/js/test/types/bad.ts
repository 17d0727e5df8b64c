// What is misspelt or of the wrong kind: each line marked so has to be refused.

import { Tidings } from "tidings-client";
import { TidingsInbox } from "tidings-client/inbox";

const tidings = new Tidings({ userId: 1 });
new Tidings({ user: 1 }); // wrong
new Tidings({ transport: "carrier-pigeon" }); // wrong
tidings.on("notifcation", () => {}); // wrong
tidings.on("message", (message) => console.log(message.titel)); // wrong
tidings.on("recommendation", (message) => console.log(message.priority)); // wrong
tidings.on("notification", ({ type }) => type === "recommendation"); // wrong
tidings.on("status", ({ state }) => state === "onlin"); // wrong
tidings.on("inbox", ({ unred }) => unred); // wrong
tidings.send({ kind: "veiw", item_id: 1 }); // wrong
tidings.send({ kind: "view", item: 1 }); // wrong
tidings.send({ kind: "share", item_id: 1 }); // wrong
new Tidings<"share">().send({ kind: "shaer", item_id: 1 }); // wrong
new Tidings<"share">().send({ kind: "veiw", item_id: 1 }); // wrong
tidings.feedback("a", "click"); // wrong
tidings.mute({ of: "brand" }); // wrong
tidings.mark("snoze", ["a"]); // wrong
tidings.inbox({ stat: "archived" }); // wrong
new TidingsInbox().words = { titel: "Post" }; // wrong
new TidingsInbox().client = "tidings"; // wrong
