// Reads a JSON list of [formula, display] from standard input; prints those that KaTeX refuses.
import { readFileSync } from "node:fs";
import katex from "katex";

const refused = [];
for (const [formula, displayMode] of JSON.parse(readFileSync(0, "utf8"))) {
  try {
    katex.renderToString(formula, { displayMode, throwOnError: true, strict: "error", trust: false });
  } catch (error) {
    refused.push([formula, String(error.message)]);
  }
}
console.log(JSON.stringify(refused));
