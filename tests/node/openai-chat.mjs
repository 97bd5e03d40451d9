// The official OpenAI SDK: chat completions.

import assert from "node:assert/strict";
import OpenAI from "openai";
import { answer, both, key, names, paris, run, tokens, url, verdict, weather, wrongKey } from "./common.mjs";

const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0, timeout: 20_000 });
const chat = client.chat.completions;
const tools = names.map((name) => ({
  type: "function",
  function: { name, description: name, parameters: weather },
}));
const user = (content) => [{ role: "user", content }];

function checkUsage(usage, text) {
  assert.equal(usage.completion_tokens, tokens(text));
  assert.ok(usage.prompt_tokens > 0);
  assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
}

run({
  async plain(model) {
    const messages = [{ role: "system", content: "Be brief." }, ...user("good morning")];
    const { data, response } = await chat.create({ model, messages }).withResponse();
    const [choice] = data.choices;
    assert.equal(choice.message.content, answer("good morning"));
    assert.equal(choice.message.role, "assistant");
    assert.equal(choice.finish_reason, "stop");
    assert.equal(data.object, "chat.completion");
    assert.equal(response.headers.get("x-tollgate-target"), model);
    checkUsage(data.usage, choice.message.content);
  },

  async stream(model) {
    const pieces = [];
    const body = { model, messages: user("count to three"), stream_options: { include_usage: true } };
    const stream = chat.stream(body).on("content", (piece) => pieces.push(piece));
    const final = await stream.finalChatCompletion();
    assert.equal(pieces.join(""), answer("count to three"));
    assert.ok(pieces.length > 1);
    assert.equal(final.choices[0].message.content, answer("count to three"));
    assert.equal(final.choices[0].finish_reason, "stop");
    checkUsage(final.usage, answer("count to three"));
  },

  async tools(model) {
    const messages = user(both);
    const [choice] = (await chat.create({ model, messages, tools })).choices;
    assert.equal(choice.finish_reason, "tool_calls");
    const calls = choice.message.tool_calls;
    assert.deepEqual(calls.map((call) => call.function.name), names);
    for (const call of calls) assert.deepEqual(JSON.parse(call.function.arguments), paris);
    messages.push(choice.message);
    for (const call of calls) messages.push({ role: "tool", tool_call_id: call.id, content: "sunny" });
    const [final] = (await chat.create({ model, messages, tools })).choices;
    assert.equal(final.message.content, "The tool answered: sunny");
    assert.equal(final.finish_reason, "stop");
  },

  async streamed_tools(model) {
    // The SDK's own loop: it puts the pieces together, calls the functions and sends their results back.
    const seen = [];
    const runner = chat.runTools({
      model,
      messages: user(both),
      stream: true,
      tools: names.map((name) => ({
        type: "function",
        function: {
          name,
          description: name,
          parameters: weather,
          parse: JSON.parse,
          function: (given) => {
            seen.push([name, given]);
            return `sunny ${name}`;
          },
        },
      })),
    });
    assert.equal(await runner.finalContent(), "The tool answered: sunny get_time");
    assert.deepEqual(seen, names.map((name) => [name, paris]));
    const finished = runner.allChatCompletions().map((one) => one.choices[0].finish_reason);
    assert.deepEqual(finished, ["tool_calls", "stop"]);
  },

  async choice(model) {
    const tool_choice = { type: "function", function: { name: "get_time" } };
    const [choice] = (await chat.create({ model, messages: user("hello"), tools, tool_choice })).choices;
    assert.deepEqual(choice.message.tool_calls.map((call) => call.function.name), ["get_time"]);
  },

  async structured(model) {
    const response_format = { type: "json_schema", json_schema: { name: "verdict", strict: true, schema: verdict } };
    const parsed = await chat.parse({ model, messages: user("judge me"), response_format });
    assert.deepEqual(parsed.choices[0].message.parsed, { name: "me", score: 7 });
  },

  async limit(model) {
    const [choice] = (await chat.create({ model, messages: user("a b c"), max_completion_tokens: 2 })).choices;
    assert.equal(choice.message.content, "You said:");
    assert.equal(choice.finish_reason, "length");
  },

  async wrong_key(model) {
    const wrong = client.withOptions({ apiKey: wrongKey });
    for (const stream of [false, true]) {
      await assert.rejects(wrong.chat.completions.create({ model, messages: user("x"), stream }), (error) => {
        assert.ok(error instanceof OpenAI.AuthenticationError, error);
        assert.equal(error.status, 401);
        assert.ok(error.headers.get("x-tollgate-request-id"));
        return true;
      });
    }
  },

  async unknown_model(model) {
    for (const unknown of ["nosuch/echo", `${model}!status=404`]) {
      for (const stream of [false, true]) {
        await assert.rejects(chat.create({ model: unknown, messages: user("x"), stream }), (error) => {
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
    await assert.rejects(chat.create({ model: busy, messages: user("x") }), (error) => {
      assert.ok(error instanceof OpenAI.RateLimitError, error);
      assert.equal(error.headers.get("retry-after"), "7");
      return true;
    });
  },

  async broken_stream(model) {
    const stream = chat.stream({ model: `${model}!error=6,pace=20ms`, messages: user("x") });
    const finished = [];
    stream.on("chunk", (chunk) => finished.push(chunk.choices[0]?.finish_reason));
    await assert.rejects(stream.finalChatCompletion(), OpenAI.APIError);
    assert.ok(finished.length > 0 && !finished.some(Boolean));
  },
});
