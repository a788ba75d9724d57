"""How much room the streams take, who gives way when there is none, and what is known of what is gone."""
