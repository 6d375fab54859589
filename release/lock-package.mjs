// Records an npm package in package.json and package-lock.json of the plugin: its version and the checksum of its file.
// `release/npm-packages` calls it: node lock-package.mjs PLUGIN NAME FILE
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";

const [plugin, name, file] = process.argv.slice(2);
const version = basename(file).match(/-(\d+\.\d+\.\d+.*)\.tgz$/)[1];
const integrity = `sha512-${createHash("sha512").update(readFileSync(file)).digest("base64")}`;

const edit = (/** @type {string} */ path, /** @type {(content: any) => void} */ change) => {
  const content = JSON.parse(readFileSync(path, "utf8"));
  change(content);
  writeFileSync(path, `${JSON.stringify(content, null, 2)}\n`);
};

edit(`${plugin}/package.json`, (content) => {
  content.version = version;
  content.optionalDependencies[name] = version;
});
edit(`${plugin}/package-lock.json`, (content) => {
  content.version = version;
  content.packages[""].version = version;
  content.packages[""].optionalDependencies[name] = version;
  const entry = content.packages[`node_modules/${name}`];
  entry.version = version;
  entry.resolved = `https://registry.npmjs.org/${name}/-/${name.split("/")[1]}-${version}.tgz`;
  entry.integrity = integrity;
});
