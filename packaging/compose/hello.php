<?php
exit(mail('you@example.com', 'hello from a container', "It works.\n") ? 0 : 1);
