// A real OpenID provider on the loopback. Whoever logs in with a name is that person, in the group that follows its +.
// Prints its issuer once it listens.
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";

const { default: Provider } = await import(pathToFileURL(process.argv[2]));
const server = createServer().listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{ client_id: "dashboard", client_secret: "secret-of-the-client", redirect_uris: [`${issuer}/none`] }],
    claims: { openid: ["sub"], profile: ["preferred_username"], groups: ["groups"] },
    scopes: ["openid", "profile", "email", "groups"],
    cookies: { keys: ["signs the provider's own cookies"] },
    pkce: { required: () => true },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, preferred_username: id.split("+")[0], groups: [id.split("+")[1]] }),
    }),
  });
  // The dashboard's port is not known yet.
  provider.Client.prototype.redirectUriAllowed = (uri) => new URL(uri).hostname === "127.0.0.1";
  server.on("request", provider.callback());
  console.log(issuer);
});
