// Java's own HttpClient: GETs args[0] and opens a WebSocket at args[1] through the proxy args[2] (host:port), trusting the CA in
// the file args[3], as the user args[4] with the password args[5]. Run with `java ClientJava.java`.

import java.io.FileInputStream;
import java.net.Authenticator;
import java.net.InetSocketAddress;
import java.net.PasswordAuthentication;
import java.net.ProxySelector;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.WebSocket;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

public class ClientJava {
    public static void main(String[] args) throws Exception {
        KeyStore roots = KeyStore.getInstance(KeyStore.getDefaultType());
        roots.load(null, null);
        try (FileInputStream file = new FileInputStream(args[3])) {
            roots.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(file));
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(roots);
        SSLContext tls = SSLContext.getInstance("TLS");
        tls.init(null, trust.getTrustManagers(), null);
        String[] proxy = args[2].split(":");
        HttpClient client = HttpClient.newBuilder()
            .proxy(ProxySelector.of(new InetSocketAddress(proxy[0], Integer.parseInt(proxy[1]))))
            .authenticator(new Authenticator() {
                @Override
                protected PasswordAuthentication getPasswordAuthentication() {
                    return new PasswordAuthentication(args[4], args[5].toCharArray());
                }
            })
            .sslContext(tls)
            .connectTimeout(Duration.ofSeconds(30))
            .build();
        int status = client.send(HttpRequest.newBuilder(URI.create(args[0])).build(), HttpResponse.BodyHandlers.discarding())
            .statusCode();
        System.out.println("status " + status);
        CompletableFuture<String> heard = new CompletableFuture<>();
        WebSocket socket = client.newWebSocketBuilder()
            .buildAsync(URI.create(args[1]), new WebSocket.Listener() {
                @Override
                public CompletionStage<?> onText(WebSocket socket, CharSequence text, boolean last) {
                    heard.complete(text.toString());
                    return null;
                }

                @Override
                public void onError(WebSocket socket, Throwable error) {
                    heard.completeExceptionally(error);
                }
            })
            .get(30, TimeUnit.SECONDS);
        socket.sendText("from Java", true).get(30, TimeUnit.SECONDS);
        System.out.println("heard " + heard.get(30, TimeUnit.SECONDS));
        socket.sendClose(1000, "done").get(30, TimeUnit.SECONDS);
        System.exit(0);
    }
}
