// Our client in a bundle of Vite, against a server over Server-Sent Events (Node may have no WebSocket). Arguments: URL, folder.

import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [url, folder] = process.argv.slice(2);
const found = createRequire(join(folder, "package.json")).resolve("vite");
const { build } = await import(pathToFileURL(found));
const entry = join(folder, "entry.js");
writeFileSync(entry, 'export { Tidings } from "tidings-client"; export { claimShown } from "tidings-client/webpush";');
const lib = { entry, formats: ["es"], fileName: () => "bundle.mjs" };
await build({ root: folder, configFile: false, logLevel: "error", build: { outDir: join(folder, "dist"), minify: true, lib } });
const { Tidings } = await import(pathToFileURL(join(folder, "dist/bundle.mjs")));
try {
  new Tidings();
  throw new Error("a bundle can't know where its server is");
} catch (error) {
  if (!/needs to be told/.test(error.message)) throw error;
}
const tidings = new Tidings({ userId: 3, url });
const welcome = new Promise((resolve, reject) => {
  tidings.on("welcome", resolve);
  setTimeout(() => reject(new Error(JSON.stringify(tidings.status))), 20_000);
});
tidings.connect();
await welcome;
console.log(`ok (${tidings.transport})`);
process.exit(0);
