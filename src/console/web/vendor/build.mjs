// Makes preact.js, Preact with its hooks and htm as one module, and licences.txt. README.md has the command.
import { build } from 'esbuild';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { argv } from 'node:process';

// The one property by which Preact parses HTML. Nothing here uses it, and what cannot be done need not be watched for.
const parsesHtml = [
  ['"dangerouslySetInnerHTML"==s?h=k:', ''],
  ['"dangerouslySetInnerHTML"==s?y=k:', ''],
  ['h?(l||y&&(h.__html==y.__html||h.__html==t.innerHTML)||(t.innerHTML=h.__html),r.__k=[]):(y&&(t.textContent=""),', 'y&&(t.textContent=""),('],
];

const withoutHtml = {
  name: 'without-html',
  setup(bundle) {
    bundle.onLoad({ filter: /preact\/dist\/preact\.mjs$/ }, async ({ path }) => {
      let text = await readFile(path, 'utf8');
      for (const [there, instead] of parsesHtml) {
        if (text.split(there).length !== 2) throw new Error(`Preact has changed: ${there} is not there once`);
        text = text.replace(there, instead);
      }
      return { contents: text, loader: 'js' };
    });
  },
};

const bundled = await build({
  stdin: {
    contents: `
      import { h } from 'preact';
      import htm from 'htm';
      export { h, render, Component } from 'preact';
      export { useState, useEffect, useLayoutEffect, useMemo, useRef, useCallback } from 'preact/hooks';
      export const html = htm.bind(h);
    `,
    resolveDir: process.cwd(),
  },
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  legalComments: 'none',
  write: false,
  plugins: [withoutHtml],
});

const packages = await Promise.all(['preact', 'htm'].map(async (name) => {
  const folder = join(process.cwd(), 'node_modules', name);
  const { version, license } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
  const text = await readFile(join(folder, 'LICENSE'), 'utf8');
  return { name: `${name} ${version} (${license})`, text };
}));
const into = argv[2];
const head = `// ${packages.map(({ name }) => name).join(', ')}; see licences.txt. Made by build.mjs.\n`;
await writeFile(join(into, 'preact.js'), head + bundled.outputFiles[0].text);
const licences = packages.map(({ name, text }) => `${name}\n${'='.repeat(name.length)}\n\n${text.trim()}\n`);
await writeFile(join(into, 'licences.txt'), licences.join('\n\n'));
