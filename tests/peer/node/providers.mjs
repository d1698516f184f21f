// Vercel's AI SDK with its providers for OpenAI's Responses and chats, Anthropic's Messages and Ollama. node providers.mjs URL
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import assert from 'node:assert';

const require = createRequire(process.env.CLLM_NODE_MODULES + '/');
const load = (name) => import(pathToFileURL(require.resolve(name)).href);
globalThis.AI_SDK_LOG_WARNINGS = false;
const { generateText, streamText, Output, tool } = await load('ai');
const { createOpenAI } = await load('@ai-sdk/openai');
const { createAnthropic } = await load('@ai-sdk/anthropic');
const { createOllama } = await load('ollama-ai-provider-v2');
const { z } = await load('zod');

const root = process.argv[2];
const openai = createOpenAI({ baseURL: root + '/v1', apiKey: 'none' });
const anthropic = createAnthropic({ baseURL: root + '/v1', apiKey: 'none' });
const ollama = createOllama({ baseURL: root + '/api' });
const prompt = 'What is the weather in Paris?';
const schema = z.object({ city: z.string().max(20), unit: z.enum(['celsius', 'fahrenheit']).nullable() });
const tools = { weather: tool({ description: 'The weather of a city.', inputSchema: schema }) };
const common = { prompt, maxOutputTokens: 200, maxRetries: 0 };

for (const model of [openai.responses('any'), openai.responses('gpt-5'), openai.chat('any'), anthropic('claude-x'), ollama('any')]) {
  const named = `${model.provider} ${model.modelId}`;
  const called = await generateText({ model, tools, toolChoice: 'required', temperature: 0, ...common });
  schema.parse(called.toolCalls[0].input);
  const stream = streamText({ model, tools, toolChoice: 'required', ...common });
  schema.parse((await stream.toolCalls)[0].input);
  const answer = await generateText({ model, output: Output.object({ schema }), ...common });
  schema.parse(answer.output);
  const history = [{ role: 'user', content: prompt }, ...called.response.messages, { role: 'tool', content: [
    { type: 'tool-result', toolCallId: called.toolCalls[0].toolCallId, toolName: 'weather', output: { type: 'text', value: 'sunny' } }] }];
  assert.ok((await generateText({ model, messages: history, tools, maxOutputTokens: 16, maxRetries: 0 })).usage.outputTokens > 0, named);
}

const wishes = { reasoningEffort: 'low', reasoningSummary: 'auto', textVerbosity: 'low', store: false, truncation: 'auto' };
assert.ok((await generateText({ model: openai.responses('gpt-5'), providerOptions: { openai: wishes }, ...common })).text);
const searching = await generateText({
  model: openai.responses('any'), tools: { ...tools, web_search: openai.tools.webSearch({}) }, toolChoice: { type: 'tool', toolName: 'weather' }, ...common,
});
schema.parse(searching.toolCalls[0].input);
console.log(JSON.stringify({ ok: true }));
