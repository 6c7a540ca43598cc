// Makes core/wire/requests.ts and answers.ts from requests.json and answers.json, the JSON Schemas of what the server reads
// (parlance-wire, schema/requests.rs) and says (parlance-client, answer/schema.rs). `node types.mjs --check` fails when a file
// is not what would be made.

import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const wire = join(dirname(fileURLToPath(import.meta.url)), "core/wire");

const comment = ({ description }, indent) =>
  description ? `${indent}/** ${description.replaceAll(/\s*\n\s*/g, " ").replaceAll("*/", "* /")} */\n` : "";

/** The type of what a schema describes. What it cannot say fails: a type that is too wide would hide a mistake. */
function typeOf(schema, indent) {
  if (schema.$ref) return schema.$ref.replace("#/$defs/", "");
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(" | ");
  const any = schema.anyOf ?? schema.oneOf;
  if (any) return any.map((one) => typeOf(one, indent)).join(" | ");
  if (Array.isArray(schema.type)) return schema.type.map((type) => typeOf({ ...schema, type }, indent)).join(" | ");
  switch (schema.type) {
    case "string":
      return "string";
    case "integer":
    case "number":
      return "number";
    case "boolean":
      return "boolean";
    case "null":
      return "null";
    case "array":
      return `readonly ${wrapped(typeOf(schema.items, indent))}[]`;
    case "object":
      return objectOf(schema, indent);
    default:
      throw new Error(`no type for ${JSON.stringify(schema)}`);
  }
}

const wrapped = (type) => (/[|&]|^readonly /.test(type) ? `(${type})` : type);

function objectOf(schema, indent) {
  const { properties = {}, required = [], additionalProperties, patternProperties } = schema;
  const values = additionalProperties || Object.values(patternProperties ?? {})[0];
  const names = Object.keys(properties);
  if (names.length === 0) return values ? `Readonly<Record<string, ${typeOf(values, indent)}>>` : "Record<string, never>";
  const inner = `${indent}  `;
  const fields = names.map((name) => {
    const optional = required.includes(name) ? "" : "?";
    const type = typeOf(properties[name], inner);
    return `${comment(properties[name], inner)}${inner}${name}${optional}: ${type}${optional && " | undefined"};\n`;
  });
  return `{\n${fields.join("")}${indent}}`;
}

/** The actions of an API: name and description, with the schema of their fields. */
function actionsOf(root) {
  const variants = root.oneOf ?? [root];
  return variants.flatMap((variant) => {
    const words = variant.enum ?? ("const" in variant ? [variant.const] : null);
    if (words) return words.map((name) => [name, variant, { type: "object" }]);
    const [name] = variant.required;
    return [[name, variant, variant.properties[name]]];
  });
}

const read = (name) => JSON.parse(readFileSync(join(wire, name), "utf8"));

/** Types by name; two of one name have to be the same. */
class Definitions {
  #all = new Map();
  add(name, schema) {
    const text = `${comment(schema, "")}export type ${name} = ${typeOf(schema, "")};\n`;
    if ((this.#all.get(name) ?? text) !== text) throw new Error(`two types are called ${name}`);
    this.#all.set(name, text);
  }
  /** Those that a schema refers to. */
  addOf({ $defs = {} }) {
    for (const [name, schema] of Object.entries($defs)) this.add(name, schema);
  }
  toString() {
    return [...this.#all].sort().map(([, text]) => text).join("\n");
  }
}

function requests(schemas) {
  const definitions = new Definitions();
  const apis = new Map();
  for (const [key, root] of Object.entries(schemas)) {
    definitions.addOf(root);
    // The signed actions of the login are that API's, too.
    const [api] = key.split(" ");
    apis.set(api, [...(apis.get(api) ?? []), ...actionsOf(root)]);
  }
  const body = [...apis].sort().map(([api, actions]) => {
    const lines = actions.map(([name, about, fields]) => `${comment(about, "    ")}    ${name}: ${typeOf(fields, "    ")};\n`);
    return `  ${api}: {\n${lines.join("")}  };\n`;
  });
  return `// Made by types.mjs from requests.json: not to be edited.

${definitions}
/** The fields of each action of each API, as the server reads them. */
export interface Requests {
${body.join("")}}
`;
}

function answers(schemas) {
  const definitions = new Definitions();
  for (const [name, root] of Object.entries(schemas)) {
    definitions.addOf(root);
    definitions.add(name, root);
  }
  return `// Made by types.mjs from answers.json: not to be edited.\n\n${definitions}`;
}

for (const [name, make] of Object.entries({ requests, answers })) {
  const target = join(wire, `${name}.ts`);
  const made = make(read(`${name}.json`));
  if (!process.argv.includes("--check")) writeFileSync(target, made);
  else if (readFileSync(target, "utf8") !== made) {
    console.error(`core/wire/${name}.ts is not made from ${name}.json: npm run types`);
    process.exitCode = 1;
  }
}
