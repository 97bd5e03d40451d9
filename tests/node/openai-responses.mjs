// The official OpenAI SDK: responses.

import assert from "node:assert/strict";
import OpenAI from "openai";
import { answer, both, key, names, paris, run, tokens, url, verdict, weather, wrongKey } from "./common.mjs";

const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0, timeout: 20_000 });
const tools = names.map((name) => ({
  type: "function",
  name,
  description: name,
  parameters: weather,
  strict: false,
}));
const user = (content) => [{ role: "user", content }];
const callsOf = (response) => response.output.filter((item) => item.type === "function_call");

function checkUsage(usage, text) {
  assert.equal(usage.output_tokens, tokens(text));
  assert.ok(usage.input_tokens > 0);
  assert.equal(usage.total_tokens, usage.input_tokens + usage.output_tokens);
}

function checkCalls(calls) {
  assert.deepEqual(calls.map((call) => call.name), names);
  for (const call of calls) assert.deepEqual(JSON.parse(call.arguments), paris);
}

/** Sends the whole output back with what the tools said, as OpenAI's guide does. */
async function checkResults(model, response) {
  const results = callsOf(response).map(({ call_id }) => ({ type: "function_call_output", call_id, output: "sunny" }));
  const input = [...user(both), ...response.output, ...results];
  const final = await client.responses.create({ model, input, tools });
  assert.equal(final.output_text, "The tool answered: sunny");
  assert.equal(final.status, "completed");
}

run({
  async plain(model) {
    const asked = client.responses.create({ model, instructions: "Be brief.", input: "good morning" });
    const { data, response } = await asked.withResponse();
    assert.equal(data.output_text, answer("good morning"));
    assert.equal(data.status, "completed");
    assert.equal(data.output.at(-1).role, "assistant");
    assert.equal(response.headers.get("x-tollgate-target"), model);
    checkUsage(data.usage, data.output_text);
  },

  async stream(model) {
    const pieces = [];
    const stream = client.responses.stream({ model, input: "count to three" });
    stream.on("response.output_text.delta", (event) => pieces.push(event.delta));
    const final = await stream.finalResponse();
    assert.equal(pieces.join(""), answer("count to three"));
    assert.ok(pieces.length > 1);
    assert.equal(final.output_text, answer("count to three"));
    assert.equal(final.status, "completed");
    checkUsage(final.usage, final.output_text);
  },

  async tools(model) {
    const response = await client.responses.create({ model, input: user(both), tools });
    checkCalls(callsOf(response));
    await checkResults(model, response);
  },

  async streamed_tools(model) {
    const stream = client.responses.stream({ model, input: user(both), tools });
    const pieces = {};
    stream.on("response.function_call_arguments.delta", (event) => {
      pieces[event.output_index] = (pieces[event.output_index] ?? "") + event.delta;
    });
    const response = await stream.finalResponse();
    checkCalls(callsOf(response));
    assert.deepEqual(Object.values(pieces), callsOf(response).map((call) => call.arguments));
    await checkResults(model, response);
  },

  async choice(model) {
    const tool_choice = { type: "function", name: "get_time" };
    const response = await client.responses.create({ model, input: "hello", tools, tool_choice });
    assert.deepEqual(callsOf(response).map((call) => call.name), ["get_time"]);
  },

  async structured(model) {
    const text = { format: { type: "json_schema", name: "verdict", strict: true, schema: verdict } };
    const response = await client.responses.parse({ model, input: "judge me", text });
    assert.deepEqual(response.output_parsed, { name: "me", score: 7 });
  },

  async limit(model) {
    const response = await client.responses.create({ model, input: "a b c", max_output_tokens: 2 });
    assert.equal(response.output_text, "You said:");
    assert.equal(response.status, "incomplete");
    assert.equal(response.incomplete_details.reason, "max_output_tokens");
  },

  async wrong_key(model) {
    const wrong = client.withOptions({ apiKey: wrongKey });
    for (const stream of [false, true]) {
      await assert.rejects(wrong.responses.create({ model, input: "x", stream }), (error) => {
        assert.ok(error instanceof OpenAI.AuthenticationError, error);
        assert.equal(error.status, 401);
        return true;
      });
    }
  },

  async unknown_model(model) {
    for (const unknown of ["nosuch/echo", `${model}!status=404`]) {
      for (const stream of [false, true]) {
        await assert.rejects(client.responses.create({ model: unknown, input: "x", stream }), (error) => {
          assert.ok(error instanceof OpenAI.NotFoundError, error);
          assert.equal(error.status, 404);
          assert.ok(error.code && error.type);
          return true;
        });
      }
    }
  },

  async rate_limit(model) {
    const busy = `${model}!status=429,retry-after=7`;
    await assert.rejects(client.responses.create({ model: busy, input: "x" }), (error) => {
      assert.ok(error instanceof OpenAI.RateLimitError, error);
      assert.equal(error.headers.get("retry-after"), "7");
      return true;
    });
  },

  async broken_stream(model) {
    const stream = await client.responses.create({ model: `${model}!error=6,pace=20ms`, input: "x", stream: true });
    const kinds = [];
    const read = async () => {
      for await (const event of stream) kinds.push(event.type);
    };
    await assert.rejects(read, (error) => {
      assert.ok(error instanceof OpenAI.APIError, error);
      assert.ok(error.message);
      return true;
    });
    assert.ok(kinds.includes("response.output_text.delta") && !kinds.includes("response.completed"));
  },
});
