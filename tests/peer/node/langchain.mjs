// LangChain for Node with its chats of OpenAI (Responses too), Anthropic and Ollama. node langchain.mjs URL
import { createRequire } from 'node:module';
import assert from 'node:assert';

const require = createRequire(process.env.CLLM_NODE_MODULES + '/');
const { ChatOpenAI } = require('@langchain/openai');
const { ChatAnthropic } = require('@langchain/anthropic');
const { ChatOllama } = require('@langchain/ollama');
const { tool } = require('@langchain/core/tools');
const { HumanMessage, ToolMessage } = require('@langchain/core/messages');
const { z } = require('zod');

const root = process.argv[2];
const question = 'What is the weather in Paris?';
const schema = z.object({ city: z.string().max(20), unit: z.enum(['celsius', 'fahrenheit']).nullable() });
const weather = tool(async () => 'sunny', { name: 'weather', description: 'The weather of a city.', schema });
const openai = (fields) => new ChatOpenAI({ model: 'any', apiKey: 'none', maxRetries: 0, maxTokens: 200, configuration: { baseURL: root + '/v1' }, ...fields });
const models = [
  [openai({}), 'required'],
  [openai({ useResponsesApi: true }), 'weather'],
  [new ChatAnthropic({ model: 'claude-sonnet-4-5', apiKey: 'none', maxRetries: 0, maxTokens: 200, anthropicApiUrl: root }), 'any'],
];

for (const [model, tool_choice] of models) {
  const called = await model.bindTools([weather], { tool_choice }).invoke(question);
  schema.parse(called.tool_calls[0].args);
  const result = new ToolMessage({ content: 'sunny', tool_call_id: called.tool_calls[0].id });
  assert.ok((await model.bindTools([weather]).invoke([new HumanMessage(question), called, result])).usage_metadata.output_tokens > 0);
  let streamed;
  for await (const chunk of await model.bindTools([weather], { tool_choice }).stream(question)) streamed = streamed ? streamed.concat(chunk) : chunk;
  schema.parse(streamed.tool_calls[0].args);
  schema.parse(await model.withStructuredOutput(schema, { name: 'weather', method: 'functionCalling' }).invoke(question));
}

const ollama = new ChatOllama({ model: 'any', baseUrl: root, numPredict: 200, temperature: 0 });
schema.parse(await ollama.withStructuredOutput(schema, { method: 'jsonSchema' }).invoke(question));
let text = '';
for await (const chunk of await ollama.stream(question)) text += chunk.content;
assert.ok(text);
console.log(JSON.stringify({ ok: true }));
