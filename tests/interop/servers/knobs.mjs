// What the judge can set at a running server: lines `life SECONDS` and `refresh on|off` on standard input.
import { createInterface } from 'node:readline';

export const knobs = { life: 3600, refresh: true };

createInterface({ input: process.stdin }).on('line', line => {
  const [name, value] = line.split(' ');
  if (name === 'life') knobs.life = Number(value);
  if (name === 'refresh') knobs.refresh = value === 'on';
  console.log(`set ${name} ${value}`);
});
