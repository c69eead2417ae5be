// Validates an AsyncAPI document: `node validate.mjs FILE`. Prints each error and warning with its path, and exits
// with 1 if there is any.
import { readFile } from "node:fs/promises";
import { Parser } from "@asyncapi/parser";

const WARNING = 1;
const { diagnostics } = await new Parser().parse(await readFile(process.argv[2], "utf8"));
const problems = diagnostics.filter(({ severity }) => severity <= WARNING);
for (const { severity, code, path, message } of problems) {
  console.error(`${severity === 0 ? "error" : "warning"} ${code} at /${path.join("/")}: ${message}`);
}
process.exitCode = problems.length > 0 ? 1 : 0;
