import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.WebSocket;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Java's own HttpClient. Arguments: HOST:PORT, user. */
class JavaClient {
    static final HttpClient CLIENT = HttpClient.newHttpClient();

    /** A socket and its whole text messages. */
    static class Socket implements WebSocket.Listener {
        final BlockingQueue<String> frames = new LinkedBlockingQueue<>();
        final StringBuilder part = new StringBuilder();
        final WebSocket socket;

        Socket(String address, String login) {
            socket = CLIENT.newWebSocketBuilder().buildAsync(URI.create("ws://" + address + "/ws"), this).join();
            socket.sendText(login, true).join();
        }

        @Override
        public CompletionStage<?> onText(WebSocket socket, CharSequence data, boolean last) {
            part.append(data);
            if (last) {
                frames.add(part.toString());
                part.setLength(0);
            }
            socket.request(1);
            return null;
        }

        String expect(String type) throws Exception {
            for (;;) {
                String frame = frames.poll(20, TimeUnit.SECONDS);
                if (frame == null) throw new AssertionError("waited for " + type);
                if (frame.contains("\"type\":\"" + type + "\"")) return frame;
            }
        }
    }

    static String field(String frame, String pattern) {
        Matcher found = Pattern.compile(pattern).matcher(frame);
        if (!found.find()) throw new AssertionError(frame);
        return found.group(1);
    }

    public static void main(String[] arguments) throws Exception {
        String address = arguments[0], user = arguments[1];
        Socket before = new Socket(address, "{\"type\":\"login\",\"user_id\":" + user + "}");
        String first = before.expect("recommendation");
        before.socket.sendClose(WebSocket.NORMAL_CLOSURE, "").join();
        String message = "{\"user_id\":" + user + ",\"title\":\"missed\"}";
        HttpRequest request = HttpRequest.newBuilder(URI.create("http://" + address + "/v1/notifications"))
            .header("Content-Type", "application/json").POST(HttpRequest.BodyPublishers.ofString(message)).build();
        int status = CLIENT.send(request, HttpResponse.BodyHandlers.ofString()).statusCode();
        if (status != 202) throw new AssertionError(status);
        String resume = ",\"resume\":{\"epoch\":\"" + field(first, "\"epoch\":\"([^\"]*)\"") + "\",\"offset\":"
            + field(first, "\"offset\":(\\d+)") + "}";
        Socket after = new Socket(address, "{\"type\":\"login\",\"user_id\":" + user + resume + "}");
        if (!after.expect("welcome").contains("\"recovered\":true")) throw new AssertionError("not recovered");
        if (!after.expect("notification").contains("\"title\":\"missed\"")) throw new AssertionError("not the missed one");
        System.exit(0);
    }
}
