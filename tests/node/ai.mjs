// Vercel's AI SDK: the same cases with the model of any of its providers.

import assert from "node:assert/strict";
import { APICallError, Output, generateText, isStepCount, jsonSchema, streamText, tool } from "ai";
import { answer, both, key, names, paris, run, tokens, url, verdict, weather, wrongKey } from "./common.mjs";

// What a provider does not support is told in warnings, which would stand among the lines.
globalThis.AI_SDK_LOG_WARNINGS = false;

function checkUsage(usage, text) {
  assert.equal(usage.outputTokens, tokens(text));
  assert.ok(usage.inputTokens > 0);
  assert.equal(usage.totalTokens, usage.inputTokens + usage.outputTokens);
}

/** Both tools, which write down what they were given. */
function recording(seen) {
  const one = (name) => tool({
    description: name,
    inputSchema: jsonSchema(weather),
    execute: (given) => {
      seen.push([name, given]);
      return `sunny ${name}`;
    },
  });
  return Object.fromEntries(names.map((name) => [name, one(name)]));
}

function checkLoop(steps, seen) {
  assert.deepEqual(seen, names.map((name) => [name, paris]));
  assert.deepEqual(steps.map((step) => step.finishReason), ["tool-calls", "stop"]);
  assert.deepEqual(steps[0].toolCalls.map((call) => [call.toolName, call.input]), seen);
  assert.match(steps[1].text, /^The tool answered: .*sunny get_time/);
  for (const step of steps) assert.ok(step.usage.inputTokens > 0 && step.usage.outputTokens > 0);
}

/** How each provider is asked to think, and to give what seals the thought. */
const think = {
  openai: { forceReasoning: true, reasoningEffort: "low", reasoningSummary: "auto", store: false },
  anthropic: { thinking: { type: "enabled", budgetTokens: 1024 } },
  google: { thinkingConfig: { includeThoughts: true, thinkingLevel: "low" } },
};

/** Whoever sealed a thought gets it back with what the tool said, and refuses one that is broken. */
function checkThoughts(steps) {
  assert.deepEqual(steps.map((step) => step.finishReason), ["tool-calls", "stop"]);
  assert.match(steps[0].reasoningText, /The user wrote 5 words; I shall echo them\./);
  assert.match(steps[1].text, /^The tool answered: .*sunny get_weather/);
}

/** The errors of the SDK, whole and streamed: a stream tells them as a part. */
async function checkError(options, check) {
  await assert.rejects(generateText(options), check);
  const parts = [];
  for await (const part of streamText({ ...options, onError() {} }).stream) parts.push(part);
  const failed = parts.find((part) => part.type === "error");
  assert.ok(failed, JSON.stringify(parts));
  check(failed.error);
}

const refused = (status) => (error) => {
  assert.ok(APICallError.isInstance(error), error);
  assert.equal(error.statusCode, status);
  assert.ok(error.responseHeaders["x-tollgate-request-id"]);
  // The SDK found the message where the provider's API has it.
  assert.ok(error.message);
  assert.equal(error.data?.error.message, error.message);
  return true;
};

/** Runs the cases; `open` makes the model of a target with a key, `more` are cases of one provider. */
export function suite(open, more) {
  const ask = (target, prompt, more) => ({ model: open(target, key), prompt, maxRetries: 0, ...more });
  const wonder = (target) =>
    ask(target, "think about get_weather in Rome", {
      tools: recording([]),
      stopWhen: isStepCount(3),
      maxOutputTokens: 4000,
      providerOptions: think,
    });

  run({
    async plain(target) {
      const result = await generateText(ask(target, "good morning", { instructions: "Be brief." }));
      assert.equal(result.text, answer("good morning"));
      assert.equal(result.finishReason, "stop");
      assert.equal(result.response.headers["x-tollgate-target"], target);
      checkUsage(result.usage, result.text);
    },

    async stream(target) {
      const result = streamText(ask(target, "count to three"));
      const pieces = [];
      for await (const piece of result.textStream) pieces.push(piece);
      assert.equal(pieces.join(""), answer("count to three"));
      assert.ok(pieces.length > 1);
      assert.equal(await result.finishReason, "stop");
      checkUsage(await result.usage, answer("count to three"));
    },

    async tools(target) {
      const seen = [];
      const result = await generateText(ask(target, both, { tools: recording(seen), stopWhen: isStepCount(3) }));
      checkLoop(result.steps, seen);
    },

    async streamed_tools(target) {
      const seen = [];
      const result = streamText(ask(target, both, { tools: recording(seen), stopWhen: isStepCount(3) }));
      const given = {};
      for await (const part of result.stream) {
        if (part.type === "tool-input-delta") given[part.id] = (given[part.id] ?? "") + part.delta;
      }
      checkLoop(await result.steps, seen);
      assert.deepEqual(Object.values(given).map((text) => JSON.parse(text)), [paris, paris]);
    },

    async choice(target) {
      const toolChoice = { type: "tool", toolName: "get_time" };
      const seen = [];
      const result = await generateText(ask(target, "hello", { tools: recording(seen), toolChoice }));
      assert.deepEqual(result.toolCalls.map((call) => call.toolName), ["get_time"]);
    },

    async thoughts(target) {
      checkThoughts((await generateText(wonder(target))).steps);
    },

    async streamed_thoughts(target) {
      checkThoughts(await streamText({ ...wonder(target), onError() {} }).steps);
    },

    async structured(target) {
      const output = Output.object({ schema: jsonSchema(verdict), name: "verdict" });
      const result = await generateText(ask(target, "judge me", { output }));
      assert.deepEqual(result.output, { name: "me", score: 7 });
    },

    async limit(target) {
      const result = await generateText(ask(target, "a b c", { maxOutputTokens: 2 }));
      assert.equal(result.text, "You said:");
      assert.equal(result.finishReason, "length");
    },

    async wrong_key(target) {
      await checkError({ ...ask(target, "x"), model: open(target, wrongKey) }, refused(401));
    },

    async unknown_model(target) {
      for (const unknown of ["nosuch/echo", `${target}!status=404`]) await checkError(ask(unknown, "x"), refused(404));
    },

    async rate_limit(target) {
      await checkError(ask(`${target}!status=429,retry-after=7`, "x"), (error) => {
        refused(429)(error);
        assert.equal(error.responseHeaders["retry-after"], "7");
        assert.ok(error.isRetryable);
        return true;
      });
    },

    async broken_stream(target) {
      const result = streamText(ask(`${target}!error=6,pace=20ms`, "x", { onError() {} }));
      const kinds = [];
      for await (const part of result.stream) kinds.push(part.type === "finish" ? part.finishReason : part.type);
      assert.ok(kinds.includes("text-delta") && kinds.includes("error"), kinds.join(" "));
      assert.ok(!kinds.includes("stop"), kinds.join(" "));
    },

    ...more,
  });
}
