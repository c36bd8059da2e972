// Who is not logged in gets in by a code that the proxy has printed, or by a token from the operator.
import { html, useState } from '../vendor/preact.js';
import { session } from '../api.js';

export function Login({ problem: first }) {
  const [secret, setSecret] = useState('');
  const [problem, setProblem] = useState(first);
  const enter = async (event) => {
    event.preventDefault();
    try {
      await session.begin({ secret: secret.trim() });
    } catch (error) {
      setProblem(error.message);
      setSecret('');
    }
  };
  return html`<main class="login"><form onSubmit=${enter}>
    <h1>wsbump</h1>
    <p>Paste the code that <code>wsbump run</code> has printed, which works once, or your token.</p>
    <label>Code or token<input type="password" name="secret" required autocomplete="off" value=${secret} onInput=${(event) => setSecret(event.target.value)} /></label>
    <button>Log in</button>
    <p class="bad" role="alert">${problem}</p>
  </form></main>`;
}
