// Vercel's AI SDK with its provider for servers that speak OpenAI's API. node ai.mjs URL; packages lie in CLLM_NODE_MODULES.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import assert from 'node:assert';

const require = createRequire(process.env.CLLM_NODE_MODULES + '/');
const load = (name) => import(pathToFileURL(require.resolve(name)).href);
const { generateText, streamText, generateObject, tool } = await load('ai');
const { createOpenAICompatible } = await load('@ai-sdk/openai-compatible');
const { z } = await load('zod');

const provider = createOpenAICompatible({ name: 'cllm', baseURL: process.argv[2], supportsStructuredOutputs: true });
const model = provider('any');
const prompt = 'What is the weather in Paris?';
const schema = z.object({ city: z.string().max(20), days: z.number().int().min(1).max(9) });
const tools = { weather: tool({ description: 'The weather of a city.', inputSchema: schema }) };

const called = await generateText({ model, prompt, tools, toolChoice: 'required', maxOutputTokens: 200, maxRetries: 0 });
assert.equal(called.toolCalls[0].toolName, 'weather');
schema.parse(called.toolCalls[0].input);

const stream = streamText({ model, prompt, tools, toolChoice: { type: 'tool', toolName: 'weather' }, maxOutputTokens: 200, maxRetries: 0 });
schema.parse((await stream.toolCalls)[0].input);

const object = await generateObject({ model, schema, prompt, maxOutputTokens: 200, maxRetries: 0 });
schema.parse(object.object);
console.log(JSON.stringify({ ok: true }));
