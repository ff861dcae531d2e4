import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.time.Duration;
import java.time.Instant;
import java.util.Base64;
import java.util.HashMap;
import java.util.Map;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.message.BinaryMessageDecoder;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.kafka.annotation.DltHandler;
import org.springframework.kafka.annotation.EnableKafka;
import org.springframework.kafka.annotation.KafkaListener;
import org.springframework.kafka.annotation.RetryableTopic;
import org.springframework.kafka.config.ConcurrentKafkaListenerContainerFactory;
import org.springframework.kafka.config.KafkaListenerEndpointRegistry;
import org.springframework.kafka.core.DefaultKafkaConsumerFactory;
import org.springframework.kafka.core.DefaultKafkaProducerFactory;
import org.springframework.kafka.core.KafkaAdmin;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.kafka.listener.MessageListenerContainer;
import org.springframework.kafka.retrytopic.RetryTopicConfigurationSupport;
import org.springframework.kafka.support.ExponentialBackOffWithMaxRetries;
import org.springframework.retry.annotation.Backoff;
import org.springframework.scheduling.TaskScheduler;
import org.springframework.scheduling.concurrent.ThreadPoolTaskScheduler;

/**
 * Each lifecycle event as a signed message to an HTTP destination that fails at times: what deliver does, by the retry
 * topics of Spring for Apache Kafka.
 *
 * <p>Tuned for order: a thread for each partition, two short retries on the spot before an event leaves its place, one
 * retry topic with one short delay, and so many attempts that an outage of the destination is outlasted.
 */
@Configuration
@EnableKafka
public class Retry extends RetryTopicConfigurationSupport {
  private static final Object JOINED = new Object();

  public static void main(String[] arguments) throws Exception {
    var context = new AnnotationConfigApplicationContext(Retry.class);
    var registry = context.getBean(KafkaListenerEndpointRegistry.class);
    // Those of the retry topic, too: an event that fails at once must not wait for them to join.
    while (!registry.getAllListenerContainers().stream().allMatch(Retry::hasJoined)) {
      Thread.sleep(50);
    }
    System.out.println("has joined");
    synchronized (JOINED) {
      JOINED.wait();
    }
  }

  private static boolean hasJoined(MessageListenerContainer container) {
    // The topic of dead letters is read by nobody.
    return !container.isAutoStartup() || !container.getAssignedPartitions().isEmpty();
  }

  @Override
  protected void configureBlockingRetries(BlockingRetriesConfigurer blocking) {
    var backOff = new ExponentialBackOffWithMaxRetries(2);
    backOff.setInitialInterval(100);
    backOff.setMultiplier(5);
    blocking.retryOn(Failed.class).backOff(backOff);
  }

  @Bean
  TaskScheduler scheduler() {
    return new ThreadPoolTaskScheduler();
  }

  @Bean
  KafkaAdmin admin() {
    return new KafkaAdmin(Map.of("bootstrap.servers", System.getProperty("brokers")));
  }

  @Bean
  KafkaTemplate<String, byte[]> defaultRetryTopicKafkaTemplate() {
    Map<String, Object> settings = new HashMap<>();
    settings.put("bootstrap.servers", System.getProperty("brokers"));
    settings.put("acks", "all");
    settings.put("enable.idempotence", "true");
    var factory =
        new DefaultKafkaProducerFactory<>(settings, new StringSerializer(), new ByteArraySerializer());
    return new KafkaTemplate<>(factory);
  }

  @Bean
  ConcurrentKafkaListenerContainerFactory<String, byte[]> kafkaListenerContainerFactory() {
    Map<String, Object> settings = new HashMap<>();
    settings.put("bootstrap.servers", System.getProperty("brokers"));
    settings.put("auto.offset.reset", "earliest");
    settings.put("enable.auto.commit", "false");
    settings.put("isolation.level", "read_committed");
    settings.put("session.timeout.ms", System.getProperty("session"));
    var factory = new ConcurrentKafkaListenerContainerFactory<String, byte[]>();
    factory.setConsumerFactory(
        new DefaultKafkaConsumerFactory<>(
            settings, new StringDeserializer(), new ByteArrayDeserializer()));
    return factory;
  }

  @Bean
  Listener listener() throws IOException {
    return new Listener();
  }

  /** A call that did not succeed. */
  static final class Failed extends RuntimeException {
    Failed(String message) {
      super(message);
    }
  }

  /** Makes the calls. */
  static class Listener {
    private final URI url = URI.create(System.getProperty("url"));
    private final Duration timeout = Duration.ofMillis(Long.getLong("timeout"));
    private final HttpClient client =
        HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).connectTimeout(timeout).build();
    private final SecretKeySpec secret =
        new SecretKeySpec(Base64.getDecoder().decode(System.getProperty("secret")), "HmacSHA256");
    private final ThreadLocal<BinaryMessageDecoder<GenericRecord>> decoder;
    private final ThreadLocal<Mac> mac = ThreadLocal.withInitial(this::mac);

    Listener() throws IOException {
      Schema schema = new Schema.Parser().parse(new File(System.getProperty("schema")));
      this.decoder =
          ThreadLocal.withInitial(() -> new BinaryMessageDecoder<>(GenericData.get(), schema));
    }

    @RetryableTopic(
        attempts = "${attempts}",
        backoff = @Backoff(delayExpression = "${delay}"),
        numPartitions = "${partitions}",
        concurrency = "${partitions}",
        autoStartDltHandler = "false")
    @KafkaListener(topics = "${events}", groupId = "${group}", concurrency = "${partitions}")
    public void deliver(ConsumerRecord<String, byte[]> record) throws InterruptedException {
      Message message = message(record.value());
      HttpRequest request =
          HttpRequest.newBuilder(url)
              .timeout(timeout)
              .header("content-type", "application/json")
              .header("webhook-id", message.id)
              .header("webhook-timestamp", message.time)
              .header("webhook-signature", message.signature)
              .POST(HttpRequest.BodyPublishers.ofByteArray(message.body))
              .build();
      try {
        HttpResponse<Void> answer = client.send(request, HttpResponse.BodyHandlers.discarding());
        if (answer.statusCode() / 100 != 2) {
          throw new Failed("answered " + answer.statusCode());
        }
      } catch (IOException failure) {
        throw new Failed(failure.toString());
      }
    }

    @DltHandler
    public void dead(ConsumerRecord<String, byte[]> record) {}

    private record Message(String id, String time, String signature, byte[] body) {}

    private Message message(byte[] value) {
      try {
        GenericRecord event = decoder.get().decode(value);
        GenericRecord subscriber = (GenericRecord) event.get("subscriber");
        GenericRecord subscription = (GenericRecord) event.get("subscription");
        String id = event.get("event_id").toString();
        StringBuilder json = new StringBuilder(1024);
        json.append("{\"type\":\"").append(event.get("type"));
        json.append("\",\"timestamp\":\"").append(Instant.ofEpochMilli((Long) event.get("occurred_at")));
        json.append("\",\"data\":{\"event_id\":\"").append(id);
        json.append("\",\"sequence\":").append(event.get("sequence"));
        json.append(",\"source\":\"").append(event.get("source"));
        json.append("\",\"provider\":\"").append(event.get("provider"));
        json.append("\",\"environment\":\"").append(event.get("environment"));
        // The parts print themselves as JSON.
        json.append("\",\"subscriber\":").append(subscriber);
        json.append(",\"facts\":").append(subscription).append("}}");
        byte[] body = json.toString().getBytes(StandardCharsets.UTF_8);
        String time = Long.toString(Instant.now().getEpochSecond());
        Mac own = mac.get();
        own.update((id + '.' + time + '.').getBytes(StandardCharsets.UTF_8));
        String signature = "v1," + Base64.getEncoder().encodeToString(own.doFinal(body));
        return new Message(id, time, signature, body);
      } catch (IOException unreadable) {
        throw new IllegalStateException(unreadable);
      }
    }

    private Mac mac() {
      try {
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(secret);
        return mac;
      } catch (GeneralSecurityException impossible) {
        throw new IllegalStateException(impossible);
      }
    }
  }
}
