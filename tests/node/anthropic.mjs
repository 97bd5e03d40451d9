// The official Anthropic SDK.

import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { answer, both, key, names, paris, run, tokens, url, verdict, weather, wrongKey } from "./common.mjs";

const client = new Anthropic({ baseURL: url, apiKey: key, maxRetries: 0, timeout: 20_000 });
const tools = names.map((name) => ({ name, description: name, input_schema: weather }));
const user = (content) => [{ role: "user", content }];
const ask = (model, content, more) => ({ model, max_tokens: 500, messages: user(content), ...more });
const callsOf = (message) => message.content.filter((block) => block.type === "tool_use");

function checkUsage(usage, text) {
  assert.equal(usage.output_tokens, tokens(text));
  assert.ok(usage.input_tokens > 0);
}

function checkCalls(message) {
  assert.equal(message.stop_reason, "tool_use");
  assert.deepEqual(callsOf(message).map((call) => call.name), names);
  for (const call of callsOf(message)) assert.deepEqual(call.input, paris);
}

async function checkResults(model, message) {
  const results = callsOf(message).map(({ id }) => ({ type: "tool_result", tool_use_id: id, content: "sunny" }));
  const messages = [...user(both), { role: "assistant", content: message.content }, ...user(results)];
  const final = await client.messages.create({ model, max_tokens: 500, messages, tools });
  assert.deepEqual(final.content.map((block) => block.text), ["The tool answered: sunny"]);
  assert.equal(final.stop_reason, "end_turn");
}

run({
  async plain(model) {
    const asked = client.messages.create(ask(model, "good morning", { system: "Be brief." }));
    const { data, response } = await asked.withResponse();
    assert.deepEqual(data.content.map((block) => block.text), [answer("good morning")]);
    assert.equal(data.stop_reason, "end_turn");
    assert.equal(data.role, "assistant");
    assert.equal(response.headers.get("x-tollgate-target"), model);
    checkUsage(data.usage, answer("good morning"));
  },

  async stream(model) {
    const pieces = [];
    const stream = client.messages.stream(ask(model, "count to three")).on("text", (piece) => pieces.push(piece));
    const final = await stream.finalMessage();
    assert.equal(pieces.join(""), answer("count to three"));
    assert.ok(pieces.length > 1);
    assert.equal(await stream.finalText(), answer("count to three"));
    assert.equal(final.stop_reason, "end_turn");
    checkUsage(final.usage, answer("count to three"));
  },

  async tools(model) {
    const message = await client.messages.create(ask(model, both, { tools }));
    checkCalls(message);
    await checkResults(model, message);
  },

  async streamed_tools(model) {
    const pieces = [];
    const stream = client.messages.stream(ask(model, both, { tools }));
    stream.on("inputJson", (piece) => pieces.push(piece));
    const message = await stream.finalMessage();
    checkCalls(message);
    assert.equal(pieces.join(""), JSON.stringify(paris).repeat(2));
    await checkResults(model, message);
  },

  async choice(model) {
    const tool_choice = { type: "tool", name: "get_time" };
    const message = await client.messages.create(ask(model, "hello", { tools, tool_choice }));
    assert.deepEqual(callsOf(message).map((call) => call.name), ["get_time"]);
  },

  async structured(model) {
    const output_config = { format: { type: "json_schema", schema: verdict } };
    const message = await client.messages.parse(ask(model, "judge me", { output_config }));
    assert.deepEqual(JSON.parse(message.content[0].text), { name: "me", score: 7 });
  },

  async limit(model) {
    const message = await client.messages.create(ask(model, "a b c", { max_tokens: 2 }));
    assert.equal(message.content[0].text, "You said:");
    assert.equal(message.stop_reason, "max_tokens");
  },

  async wrong_key(model) {
    const wrong = client.withOptions({ apiKey: wrongKey });
    for (const stream of [false, true]) {
      await assert.rejects(wrong.messages.create(ask(model, "x", { stream })), (error) => {
        assert.ok(error instanceof Anthropic.AuthenticationError, error);
        assert.equal(error.status, 401);
        assert.equal(error.type, "authentication_error");
        return true;
      });
    }
  },

  async unknown_model(model) {
    for (const unknown of ["nosuch/echo", `${model}!status=404`]) {
      for (const stream of [false, true]) {
        await assert.rejects(client.messages.create(ask(unknown, "x", { stream })), (error) => {
          assert.ok(error instanceof Anthropic.NotFoundError, error);
          assert.equal(error.status, 404);
          assert.equal(error.type, "not_found_error");
          return true;
        });
      }
    }
  },

  async rate_limit(model) {
    await assert.rejects(client.messages.create(ask(`${model}!status=429,retry-after=7`, "x")), (error) => {
      assert.ok(error instanceof Anthropic.RateLimitError, error);
      assert.equal(error.headers.get("retry-after"), "7");
      return true;
    });
  },

  async broken_stream(model) {
    const stream = client.messages.stream(ask(`${model}!error=6,pace=20ms`, "x"));
    const kinds = [];
    stream.on("streamEvent", (event) => kinds.push(event.type));
    await assert.rejects(stream.finalMessage(), Anthropic.APIError);
    assert.ok(kinds.includes("content_block_delta") && !kinds.includes("message_stop"));
  },
});
