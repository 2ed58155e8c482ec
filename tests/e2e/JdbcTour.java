import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Properties;

/** What a JDBC tool does with an agent: connect, look around, read, and be refused. */
public class JdbcTour {
    public static void main(String[] arguments) throws SQLException {
        Properties properties = new Properties();
        properties.put("useEncryption", "false");
        properties.put("token", arguments[1]);
        properties.put("x-mesh-purpose", "planning");
        String url = "jdbc:arrow-flight-sql://127.0.0.1:" + arguments[0];
        try (Connection connection = DriverManager.getConnection(url, properties);
                Statement statement = connection.createStatement()) {
            lookAround(connection.getMetaData());
            try (ResultSet rows = statement.executeQuery("SELECT * FROM ops.flights.delays")) {
                long sum = 0;
                while (rows.next()) {
                    sum += rows.getLong("id");
                }
                System.out.println("sum " + sum);
            }
            String one = "SELECT * FROM ops.flights.delays WHERE id = ?";
            try (PreparedStatement prepared = connection.prepareStatement(one)) {
                for (long id : new long[] {42, 43}) {
                    prepared.setLong(1, id);
                    try (ResultSet rows = prepared.executeQuery()) {
                        rows.next();
                        System.out.println("row " + rows.getLong(1) + " " + rows.getString(2));
                    }
                }
            }
            statement.executeUpdate("DROP TABLE delays");
        } catch (SQLException refusal) {
            System.out.println("refused " + refusal.getMessage());
        }
    }

    private static void lookAround(DatabaseMetaData metadata) throws SQLException {
        System.out.println("server " + metadata.getDatabaseProductName() + " " + metadata.isReadOnly());
        String[] types = {"TABLE"};
        try (ResultSet tables = metadata.getTables(null, "fl%", "airports\\_of\\_origin", types)) {
            while (tables.next()) {
                System.out.println("table " + tables.getString("TABLE_NAME"));
            }
        }
        try (ResultSet columns = metadata.getColumns("ops", "flights", "delays", "%")) {
            while (columns.next()) {
                System.out.println("column " + columns.getString("COLUMN_NAME"));
            }
        }
        try (ResultSet keys = metadata.getPrimaryKeys("ops", "flights", "delays")) {
            System.out.println("keys " + keys.next());
        }
    }
}
