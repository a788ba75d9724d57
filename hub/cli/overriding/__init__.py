"""What stands for a time in the place of what a hub above declares, as its operators begin and end it."""
