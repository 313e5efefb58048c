import { readFileSync } from 'node:fs';
import { Validator } from '@seriousme/openapi-schema-validator';
import { fastify } from 'fastify';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { registerAdminRoutes } from './adminServer.ts';
import { Epochs } from './epochs.ts';
import { openApiDocument } from './openApi.ts';
import { OPENAPI_FILE, openApiText } from './openApiFile.ts';
import { unusedAccessKeys, unusedAdministration } from './unused.testkit.ts';

const METHODS = z.enum(['get', 'put', 'post', 'delete']);
const documentForm = z.object({
  paths: z.record(
    z.string(),
    z.partialRecord(
      METHODS,
      z.object({
        operationId: z.string(),
        summary: z.string().min(10),
        parameters: z.array(z.object({ name: z.string(), in: z.string() })).optional(),
        responses: z.record(z.string(), z.object({ description: z.string() })),
      }),
    ),
  ),
});
const document = documentForm.parse(openApiDocument());
const operations = Object.entries(document.paths).flatMap(([path, item]) =>
  Object.entries(item).map(([method, operation]) => ({ path, method, ...operation })),
);

test('the document is valid OpenAPI 3.1', async () => {
  const result = await new Validator().validate(openApiDocument());
  expect(result).toMatchObject({ valid: true });
});

test('a document that is not valid is seen to be', async () => {
  const { info: _info, ...rest } = openApiDocument();
  expect(await new Validator().validate(rest)).toMatchObject({ valid: false });
});

test('the committed copy is what the routes say', () => {
  expect(readFileSync(OPENAPI_FILE, 'utf8')).toBe(openApiText());
});

test('the document tells the routes that are served, and no others', () => {
  const server = fastify();
  const served: string[] = [];
  server.addHook('onRoute', ({ method, url }) => {
    // fastify answers HEAD wherever it answers GET.
    if (method !== 'HEAD') served.push(`${String(method)} ${url.replaceAll(/:(\w+)/g, '{$1}')}`);
  });
  registerAdminRoutes(server, {
    keys: unusedAdministration,
    accessKeys: unusedAccessKeys,
    epochs: new Epochs(unusedAdministration),
    status: () => Promise.reject(new Error('not asked for here')),
    flush: () => Promise.reject(new Error('not asked for here')),
  });
  const told = operations.map(({ method, path }) => `${method.toUpperCase()} ${path}`);
  expect(told.toSorted()).toEqual(served.toSorted());
  expect(served).toContain('PUT /admin/v1/buckets/{name}');
});

test.each(operations)('$method $path tells its parameters, and refusals as they are', (operation) => {
  const { method, operationId, parameters = [], path, responses } = operation;
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
  expect(parameters.filter((at) => at.in === 'path').map(({ name }) => name)).toEqual(inPath);
  const fenced = method !== 'get' && operationId !== 'takeEpoch';
  expect(parameters.some(({ name }) => name === 'Sealgate-Epoch')).toBe(fenced);
  expect('412' in responses).toBe(fenced);
  expect(responses['401']?.description).toBe('Unauthorized');
  expect(operations.filter((other) => other.operationId === operationId)).toHaveLength(1);
});
