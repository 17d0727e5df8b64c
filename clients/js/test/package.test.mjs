// The package as others get it: packed, installed, type-checked, bundled, measured. Needs `npm ci`.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const here = fileURLToPath(new URL("..", import.meta.url));
const repository = join(here, "../..");
const bin = (name) => join(here, "node_modules/.bin", name);
const installed = existsSync(bin("tsc")) && existsSync(bin("esbuild"));
const skip = installed ? false : "npm ci has not been run in clients/js";
const MAX_BYTES = 9_000;
/** Of the inbox, beyond the client. */
const MAX_INBOX_BYTES = 14_000;

const folder = mkdtempSync(join(tmpdir(), "tidings-client-"));
test.after(() => rmSync(folder, { recursive: true, force: true }));

function run(command, arguments_, options = {}) {
  const { status, stdout, stderr } = spawnSync(command, arguments_, { encoding: "utf8", ...options });
  return { status, output: stdout + stderr, stdout };
}

/** A project with the packed package installed. */
function project() {
  const target = join(folder, "node_modules/tidings-client");
  if (existsSync(target)) return;
  const packed = run("npm", ["pack", "--pack-destination", folder], { cwd: here });
  assert.equal(packed.status, 0, packed.output);
  mkdirSync(target, { recursive: true });
  execFileSync("tar", ["-xzf", join(folder, packed.stdout.trim().split("\n").at(-1)), "-C", target, "--strip-components=1"]);
  writeFileSync(join(folder, "package.json"), '{"type":"module","private":true}');
}

/** Type-checks files against the installed package; lines of complaints. */
function compile(files, module = "NodeNext") {
  const options = ["--noEmit", "--strict", "--skipLibCheck", "false", "--target", "ES2022", "--module", module];
  if (module === "ESNext") options.push("--moduleResolution", "bundler");
  const { output } = run(bin("tsc"), [...options, ...files], { cwd: folder });
  return output.split("\n").filter((line) => line.includes("error TS"));
}

/** Fenced blocks of JavaScript of a page. */
const blocks = (page, language = "js") =>
  [...readFileSync(join(repository, page), "utf8").matchAll(/^```(.+)\n([^]*?)^```/gm)].filter(([, name]) => name === language).map(([, , code]) => code);

test("the sources are typed strictly", { skip }, () => {
  for (const of of ["tsconfig.json", "tsconfig.worker.json"]) {
    const { status, output } = run(bin("tsc"), ["-p", of], { cwd: here });
    assert.equal(status, 0, output);
  }
});

test("no module is longer than 450 lines, none depends on anything", () => {
  const files = execFileSync("git", ["ls-files", "src"], { cwd: here, encoding: "utf8" }).trim().split("\n");
  for (const file of files) {
    const text = readFileSync(join(here, file), "utf8");
    assert.ok(text.split("\n").length <= 451, file);
    for (const [, from] of text.matchAll(/^(?:import|export) .* from "(.*)"/gm)) assert.match(from, /^\.\//, file);
  }
  assert.equal(JSON.parse(readFileSync(join(here, "package.json"), "utf8")).dependencies, undefined);
});

test("what is packed is what is needed", { skip }, () => {
  project();
  const files = execFileSync("find", [".", "-type", "f"], { cwd: join(folder, "node_modules/tidings-client"), encoding: "utf8" }).split("\n");
  for (const file of ["./src/tidings.js", "./src/client/tabs.js", "./src/sw.js", "./types/tidings.d.ts", "./types/webpush.d.ts", "./src/inbox/panel.js", "./types/inbox.d.ts", "./LICENSE", "./README.md"]) {
    assert.ok(files.includes(file), file);
  }
  assert.ok(!files.some((file) => /test|node_modules|tsconfig/.test(file)), files.join(" "));
});

test("types: what is right compiles, what is misspelt does not", { skip }, () => {
  project();
  for (const name of ["good.ts", "bad.ts"]) writeFileSync(join(folder, name), readFileSync(join(here, "test/types", name)));
  for (const module of ["NodeNext", "ESNext"]) assert.deepEqual(compile(["good.ts"], module), []);
  const lines = readFileSync(join(here, "test/types/bad.ts"), "utf8").split("\n");
  const wrong = lines.map((line, n) => (line.endsWith("// wrong") ? n + 1 : 0)).filter(Boolean);
  const refused = new Set(compile(["bad.ts"]).map((line) => Number(/\((\d+),/.exec(line)[1])));
  assert.ok(wrong.length >= 10);
  assert.deepEqual([...refused].sort((a, b) => a - b), wrong);
});

test("the examples of the documentation compile", { skip }, () => {
  project();
  const surroundings = `declare function show(...what: any[]): void; declare function banner(...what: any[]): void;
declare function list(messages: any[]): void; declare const button: HTMLButtonElement; declare const signOut: HTMLButtonElement;
declare const signOutButton: HTMLButtonElement; declare const message: import("tidings-client").Message;\n`;
  let n = 0;
  for (const page of ["clients/js/README.md", "README.md", "docs/guide.md"]) {
    for (const code of [...blocks(page), ...blocks(page, "ts")]) {
      // Served by Tidings and installed from npm are the same files.
      const own = code.replace(/"[^"]*\/tidings\.js"/, '"tidings-client"').replace(/"[^"]*\/webpush\.js"/, '"tidings-client/webpush"').replace(/"[^"]*\/inbox\.js"/, '"tidings-client/inbox"');
      const has = /\bconst tidings =/.test(own) ? "" : 'import { Tidings as Client } from "tidings-client"; const tidings = new Client({ url: "https://push.example/" });\n';
      writeFileSync(join(folder, `example${(n += 1)}.ts`), `${surroundings}${has}${own}\nexport {};\n`);
    }
  }
  assert.ok(n >= 6, `${n} examples`);
  assert.deepEqual(compile(Array.from({ length: n }, (_, index) => `example${index + 1}.ts`)), []);
});

test("the first example of each page runs", { skip: process.env.TIDINGS_URL ? false : "no server" }, () => {
  for (const page of ["clients/js/README.md", "README.md"]) {
    const [code] = blocks(page);
    const own = code
      .replace(/"[^"]*\/tidings\.js"/, JSON.stringify(join(here, "src/tidings.js")))
      .replace("new Tidings({", "new Tidings({ url: process.env.TIDINGS_URL,");
    assert.notEqual(own, code);
    const file = join(folder, "first.mjs");
    writeFileSync(file, `const show = () => {};\n${own}\nconsole.log("stored");\nprocess.exit(0);\n`);
    const { status, output } = run(process.execPath, [...process.execArgv.filter((flag) => flag.includes("websocket")), file], { timeout: 20_000 });
    assert.equal(status, 0, output);
    assert.match(output, /stored/);
  }
});

/** Bytes of a module, minified and compressed, without what it loads later. */
function size(entry, ...later) {
  const external = later.map((name) => `--external:${name}`);
  const { stdout, status, output } = run(bin("esbuild"), [join(here, "src", entry), "--bundle", "--minify", "--format=esm", "--target=es2022", ...external], { encoding: "buffer" });
  assert.equal(status, 0, output);
  return gzipSync(stdout, { level: 9 }).length;
}

test("the client is small, and as small as its README says", { skip }, () => {
  const measured = [size("tidings.js", "./webpush.js", "./tabs.js", "./event_line.js"), size("client/tabs.js", "./platform.js"), size("client/event_line.js", "./platform.js", "./address.js"), size("webpush.js", "./shown.js"), size("inbox.js", "./tidings.js")];
  const said = [...readFileSync(join(here, "README.md"), "utf8").matchAll(/^\| `[^|]*\| ([\d,]+) \|$/gm)].map(([, bytes]) => Number(bytes.replace(",", "")));
  console.log(`gzip: tidings.js ${measured[0]}, tabs ${measured[1]}, events ${measured[2]}, webpush ${measured[3]}, inbox ${measured[4]} bytes`);
  assert.ok(measured[0] <= MAX_BYTES, `${measured[0]} bytes`);
  assert.ok(measured[4] <= MAX_INBOX_BYTES, `${measured[4]} bytes`);
  assert.equal(said.length, 5);
  measured.forEach((bytes, n) => assert.ok(Math.abs(bytes - said[n]) <= 50, `${bytes} bytes, the README says ${said[n]}`));
});

test("a bundle of esbuild works, in each format, and says what it needs to be told", { skip }, async () => {
  project();
  // The inbox as a bundle for pages takes it in, for what it does alone; the client that it makes by itself comes with it.
  writeFileSync(join(folder, "page.mjs"), 'import "tidings-client/inbox";');
  const pageBundle = run(bin("esbuild"), ["page.mjs", "--bundle", "--minify", "--format=esm", "--outfile=page-bundle.mjs"], { cwd: folder });
  assert.equal(pageBundle.status, 0, pageBundle.output);
  assert.match(readFileSync(join(folder, "page-bundle.mjs"), "utf8"), /customElements\.define|tidings-inbox/);
  await import(join(folder, "page-bundle.mjs"));
  const code = 'export { Tidings } from "tidings-client"; export { claimShown, webPushSupported } from "tidings-client/webpush";';
  writeFileSync(join(folder, "entry.mjs"), code);
  for (const [format, file] of [["esm", "bundle.mjs"], ["cjs", "bundle.cjs"]]) {
    const built = run(bin("esbuild"), ["entry.mjs", "--bundle", "--minify", `--format=${format}`, "--log-override:empty-import-meta=silent", `--outfile=${file}`], { cwd: folder });
    assert.equal(built.status, 0, built.output);
    // Nothing that works by its effect alone was shaken off.
    assert.match(readFileSync(join(folder, file), "utf8"), /tidingsShown/);
    const loaded = await import(join(folder, file));
    const { Tidings } = loaded.Tidings ? loaded : loaded.default;
    assert.throws(() => new Tidings({ userId: 1 }), /needs to be told/);
    if (!process.env.TIDINGS_URL) continue;
    const tidings = new Tidings({ userId: 77, url: process.env.TIDINGS_URL });
    tidings.connect();
    assert.equal((await tidings.send({ kind: "view", item_id: 1 })).duplicate, false);
    tidings.disconnect();
  }
});
