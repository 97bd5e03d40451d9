// Vercel's AI SDK with its provider for Google.

import assert from "node:assert/strict";
import { createGoogle } from "@ai-sdk/google";
import { generateText } from "ai";
import { suite } from "./ai.mjs";
import { answer, key, url } from "./common.mjs";

const open = (name, apiKey) => createGoogle({ baseURL: `${url}/v1beta`, apiKey })(name);

// The SDK asks for a name with a slash as it stands, and for any other under models/.
suite((target, apiKey) => open(`models/${target}`, apiKey), {
  async bare_name(target) {
    const { text } = await generateText({ model: open(target, key), prompt: "hello", maxRetries: 0 });
    assert.equal(text, answer("hello"));
  },
});
