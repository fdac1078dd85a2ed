// A strict HTTP client: Java's HttpClient. Lines as in strict.go.
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.InputStreamReader;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.security.SecureRandom;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.util.Arrays;
import java.util.Base64;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.TrustManager;
import javax.net.ssl.X509ExtendedTrustManager;

public class Strict {
  static final class Trusting extends X509ExtendedTrustManager {
    public void checkClientTrusted(X509Certificate[] chain, String type) {}
    public void checkServerTrusted(X509Certificate[] chain, String type) {}
    public void checkClientTrusted(X509Certificate[] chain, String type, Socket socket) {}
    public void checkServerTrusted(X509Certificate[] chain, String type, Socket socket) {}
    public void checkClientTrusted(X509Certificate[] chain, String type, SSLEngine engine) {}
    public void checkServerTrusted(X509Certificate[] chain, String type, SSLEngine engine) {}
    public X509Certificate[] getAcceptedIssuers() {
      return new X509Certificate[0];
    }
  }

  static byte[] body(int size, String kind) {
    byte[] made = new byte[size];
    Arrays.fill(made, (byte) ' ');
    if (kind.equals("deep")) {
      Arrays.fill(made, 0, Math.min(size, 200), (byte) '[');
    } else if (kind.equals("naming")) {
      byte[] naming = "{\"lookup_from\":{\"collection\":\"b\"}}".getBytes();
      System.arraycopy(naming, 0, made, 0, Math.min(size, naming.length));
    } else if (size >= 2) {
      made[0] = '{';
      made[1] = '}';
    }
    return made;
  }

  public static void main(String[] arguments) throws Exception {
    long seconds = Long.parseLong(System.getenv().getOrDefault("STRICT_SECONDS", "20"));
    SSLContext trusting = SSLContext.getInstance("TLS");
    trusting.init(null, new TrustManager[] {new Trusting()}, new SecureRandom());
    HttpClient.Version version = arguments[0].equals("2") ? HttpClient.Version.HTTP_2 : HttpClient.Version.HTTP_1_1;
    HttpClient client = HttpClient.newBuilder().sslContext(trusting).version(version).build();
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      String[] field = line.split("\t", -1);
      int size = Integer.parseInt(field[5]);
      HttpRequest.BodyPublisher content = HttpRequest.BodyPublishers.noBody();
      if (size > 0) {
        byte[] bytes = body(size, field[7]);
        content = field[6].equals("streamed")
            ? HttpRequest.BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(bytes))
            : HttpRequest.BodyPublishers.ofByteArray(bytes);
      }
      HttpRequest.Builder request =
          HttpRequest.newBuilder(URI.create(field[2])).timeout(Duration.ofSeconds(seconds)).method(field[1], content);
      if (!field[3].isEmpty()) request.header("api-key", field[3]);
      if (!field[4].isEmpty()) request.header(field[4].split(": ")[0], field[4].split(": ")[1]);
      String status = "error";
      byte[] text;
      try {
        HttpResponse<byte[]> answer = client.send(request.build(), HttpResponse.BodyHandlers.ofByteArray());
        status = Integer.toString(answer.statusCode());
        text = answer.body();
      } catch (Exception error) {
        text = error.toString().getBytes();
      }
      System.out.println(field[0] + "\t" + status + "\t" + Base64.getEncoder().encodeToString(text));
    }
  }
}
