// Verifies a bearer token with WebCrypto and answers an auth_request. @words@ are filled in by contenders.py.
const KEY = Buffer.from("@key@", "base64");
const IMPORTED = @imported@;
const VERIFIED = @verified@;

async function status(r) {
    const credential = r.headersIn.Authorization;
    if (!credential || !credential.startsWith("Bearer ")) return 401;
    const token = credential.substring(7);
    const parts = token.split(".");
    if (parts.length != 3) return 401;
    const head = JSON.parse(Buffer.from(parts[0], "base64url"));
    if (head.alg != "@algorithm@") return 401;
    // Imported once, when the script is loaded, a request costs as much.
    const key = await crypto.subtle.importKey("spki", KEY, IMPORTED, false, ["verify"]);
    const signature = Buffer.from(parts[2], "base64url");
    if (!await crypto.subtle.verify(VERIFIED, key, signature, parts[0] + "." + parts[1])) return 401;
    const claims = JSON.parse(Buffer.from(parts[1], "base64url"));
    const audiences = Array.isArray(claims.aud) ? claims.aud : [claims.aud];
    if (claims.iss != "@issuer@" || !audiences.includes("@audience@")) return 401;
    if (!(claims.exp > Date.now() / 1000)) return 401;
    if (r.variables.request_method != "GET") return 403;
    return (claims.scope || "").split(" ").includes(r.variables.required_scope) ? 204 : 403;
}

async function check(r) {
    let answer = 401;
    try {
        answer = await status(r);
    } catch (error) {
        // What cannot be read is no token.
    }
    r.return(answer);
}

export default { check };
