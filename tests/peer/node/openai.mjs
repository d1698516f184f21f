// OpenAI's client for Node: tools, streams, structured output. node openai.mjs URL; packages lie in CLLM_NODE_MODULES.
import { createRequire } from 'node:module';
import assert from 'node:assert';

const require = createRequire(process.env.CLLM_NODE_MODULES + '/');
const OpenAI = require('openai').default ?? require('openai');
const client = new OpenAI({ baseURL: process.argv[2], apiKey: 'none', maxRetries: 0 });
const messages = [{ role: 'user', content: 'What is the weather in Paris?' }];
const schema = {
  type: 'object',
  properties: { city: { type: 'string', maxLength: 20 }, days: { type: 'integer', minimum: 1, maximum: 9 } },
  required: ['city', 'days'],
  additionalProperties: false,
};
const tools = [{ type: 'function', function: { name: 'weather', parameters: schema, strict: true } }];

const check = (text) => {
  const value = JSON.parse(text);
  assert.ok(typeof value.city === 'string' && value.days >= 1 && value.days <= 9);
};

const answer = await client.chat.completions.create({ model: 'any', messages, tools, tool_choice: 'required', max_tokens: 200 });
assert.equal(answer.choices[0].finish_reason, 'tool_calls');
check(answer.choices[0].message.tool_calls[0].function.arguments);

const stream = client.chat.completions.stream({ model: 'any', messages, tools, tool_choice: 'required', max_tokens: 200 });
const final = await stream.finalChatCompletion();
check(final.choices[0].message.tool_calls[0].function.arguments);

const formatted = await client.chat.completions.create({
  model: 'any', messages, max_tokens: 200, response_format: { type: 'json_schema', json_schema: { name: 'weather', strict: true, schema } },
});
check(formatted.choices[0].message.content);

const abort = new AbortController();
const cancelled = await client.chat.completions.create({ model: 'any', messages, stream: true, max_tokens: 400 }, { signal: abort.signal });
for await (const _ of cancelled) { abort.abort(); break; }
console.log(JSON.stringify({ ok: true }));
