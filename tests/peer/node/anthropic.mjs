// Anthropic's client for Node: whole, streamed, tools, counting. node anthropic.mjs URL; packages lie in CLLM_NODE_MODULES.
import { createRequire } from 'node:module';
import assert from 'node:assert';

const require = createRequire(process.env.CLLM_NODE_MODULES + '/');
const Anthropic = require('@anthropic-ai/sdk').default ?? require('@anthropic-ai/sdk');
const client = new Anthropic({ baseURL: process.argv[2], apiKey: 'none', maxRetries: 0 });
const model = 'claude-opus-4-8';
const messages = [{ role: 'user', content: 'What is the weather in Paris?' }];
const tools = [{
  name: 'weather',
  input_schema: {
    type: 'object',
    properties: { city: { type: 'string', maxLength: 20 }, days: { type: 'integer', minimum: 1, maximum: 9 } },
    required: ['city', 'days'],
  },
}];

const answer = await client.messages.create({ model, messages, max_tokens: 16 });
assert.equal(answer.content[0].type, 'text');

const stream = client.messages.stream({ model, messages, tools, tool_choice: { type: 'any' }, max_tokens: 200 });
const final = await stream.finalMessage();
assert.equal(final.stop_reason, 'tool_use');
const call = final.content.at(-1);
assert.ok(typeof call.input.city === 'string' && call.input.days >= 1 && call.input.days <= 9);

const count = await client.messages.countTokens({ model, messages, tools });
assert.equal(count.input_tokens, final.usage.input_tokens + final.usage.cache_read_input_tokens);

await assert.rejects(client.messages.create({ model, messages: [], max_tokens: 1 }), (error) => error.status === 400);
console.log(JSON.stringify({ ok: true }));
