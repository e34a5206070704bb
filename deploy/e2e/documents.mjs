// Reads {"openapi":…,"asyncapi":…} on standard input, and ends with 1 and the reasons if one of the documents isn't valid.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
const require = createRequire(process.env.CALLSIGN_NODE_PATH + "/");
const { Parser } = require("@asyncapi/parser");
const { Validator } = await import(require.resolve("@seriousme/openapi-schema-validator"));
const documents = JSON.parse(readFileSync(0, "utf8"));

const openapi = await new Validator().validate(documents.openapi);
const { document, diagnostics } = await new Parser().parse(JSON.stringify(documents.asyncapi));
const errors = diagnostics.filter((d) => d.severity === 0); // others are advice
if (!openapi.valid || !document || errors.length > 0) {
  console.log(JSON.stringify({ openapi: openapi.errors, asyncapi: errors }, null, 2));
  process.exit(1);
}
