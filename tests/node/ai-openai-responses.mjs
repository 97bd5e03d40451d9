// Vercel's AI SDK with its provider for OpenAI: responses, which is what it speaks unless told otherwise.

import { createOpenAI } from "@ai-sdk/openai";
import { suite } from "./ai.mjs";
import { url } from "./common.mjs";

suite((target, apiKey) => createOpenAI({ baseURL: `${url}/v1`, apiKey })(target));
