// Vercel's AI SDK with its provider for Anthropic.

import { createAnthropic } from "@ai-sdk/anthropic";
import { suite } from "./ai.mjs";
import { url } from "./common.mjs";

suite((target, apiKey) => createAnthropic({ baseURL: `${url}/v1`, apiKey })(target));
