// Ollama's client for Node: chat, generate, lists, errors. node ollama.mjs URL; packages lie in CLLM_NODE_MODULES.
import { createRequire } from 'node:module';
import assert from 'node:assert';

const require = createRequire(process.env.CLLM_NODE_MODULES + '/');
const { Ollama } = require('ollama');
const client = new Ollama({ host: process.argv[2] });
const messages = [{ role: 'user', content: 'Name a fruit.' }];
const options = { temperature: 0, num_predict: 16 };

const [{ model }] = (await client.list()).models;
const whole = await client.chat({ model, messages, options });
let streamed = '';
for await (const part of await client.chat({ model, messages, options, stream: true })) streamed += part.message.content;
assert.equal(streamed, whole.message.content);
assert.ok((await client.generate({ model, prompt: 'The capital of France is', raw: true, options })).response);
assert.ok((await client.show({ model })).capabilities.includes('completion'));
assert.equal((await client.ps()).models[0].model, model);
await assert.rejects(client.chat({ model, messages, options: { num_ctx: 1e6 } }), /num_ctx/);
console.log(JSON.stringify({ ok: true }));
